"""The providers: one file a reply channel, each one attempt in, its outcome out."""
