"""Predicts departments from a trained linear model. Pure; numpy only; training is in `commands/training`."""
