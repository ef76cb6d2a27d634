"""What is found out about those who send and what they send, and what becomes of it."""
