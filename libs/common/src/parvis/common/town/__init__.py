"""Reads and checks the configuration in `config/<town>/`: town, departments, procedures and templates."""
