"""Mail in and out of the store in bulk: Maildir and mbox."""
