"""What Twilio's words mean to the town. Pure; no I/O."""
