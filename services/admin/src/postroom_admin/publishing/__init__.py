"""What a domain is to publish in the DNS, and what it has published."""
