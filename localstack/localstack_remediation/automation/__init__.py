"""SSM Automation, with the three AWS runbooks that this project runs. Community LocalStack has none of it."""
