"""What an operator wrote in `config/<town>/`, as checked values: the town, its departments, procedures and templates."""
