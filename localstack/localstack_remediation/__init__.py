"""What LocalStack community lacks to run this project as it is deployed."""
