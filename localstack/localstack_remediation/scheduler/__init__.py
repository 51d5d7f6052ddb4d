"""EventBridge Scheduler schedules that fire. Community LocalStack stores them and nothing else."""
