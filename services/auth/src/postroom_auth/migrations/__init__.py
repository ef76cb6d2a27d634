"""Alembic's environment and the steps that bring a database's schema up to date."""
