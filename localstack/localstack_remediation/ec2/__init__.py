"""EC2 where moto differs from what AWS documents: security group rules, flow logs, network ACLs, pages."""
