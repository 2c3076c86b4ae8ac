"""What a laptop needs to see the job at work: an embedded Kinesis and S3, sample events, and the demo."""
