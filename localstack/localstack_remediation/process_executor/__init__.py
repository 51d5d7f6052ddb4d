"""Lambda functions as child processes of LocalStack: no Docker."""
