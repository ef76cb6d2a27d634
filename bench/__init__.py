"""The workloads Postroom is measured by, and the same ones against Postfix and Dovecot."""
