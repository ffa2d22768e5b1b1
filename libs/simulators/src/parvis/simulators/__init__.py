"""The simulated outside world: a Twilio account, the citizens' mail provider and the print shop's tray, over the real protocols."""
