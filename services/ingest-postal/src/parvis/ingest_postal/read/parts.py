"""What the divider and its worker say to each other: kinds of frames. Data only."""

# The divider asks
BATCH, PARTS = b"B", b"N"
# The worker answers, for each letter
LETTER = b"L"
