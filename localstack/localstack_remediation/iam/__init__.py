"""IAM decisions for role sessions. Community LocalStack stores policies and checks none of them."""
