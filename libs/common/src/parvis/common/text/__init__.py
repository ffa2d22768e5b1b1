"""Text that people typed: its language, telephone numbers, the reply channel it asks for, and how it is encoded in SMS."""
