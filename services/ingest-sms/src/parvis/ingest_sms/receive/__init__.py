"""Who knocks: Twilio's webhooks, its fallback, and ourselves when we ask Twilio what we missed."""
