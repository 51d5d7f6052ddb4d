"""RDS where moto differs from what AWS documents: snapshots, and the instances and clusters that they are of."""
