"""RDS: moto's, with snapshots that are shared and found as on AWS, and with clusters, their instances and their names."""
