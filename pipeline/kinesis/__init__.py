"""A native splittable Kinesis reader: many shards in one restriction, one window at a time."""
