"""`parvis demo`: five citizens, five front doors, one town hall; watched from the topics, told as a table."""
