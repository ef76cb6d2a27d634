"""What mail is to the store, without a database: flags, mailbox names, changes."""
