"""What a bucket's name tells, as the Amazon S3 User Guide has it: "General purpose bucket naming rules".

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

import re

from localstack.services.s3.utils import is_bucket_name_valid

DIRECTORY_BUCKET = "--x-s3"
ACCESS_POINT_ALIAS = "-s3alias"
OBJECT_LAMBDA_ALIAS = "--ol-s3"
RESERVED_SUFFIXES = (DIRECTORY_BUCKET, ACCESS_POINT_ALIAS, OBJECT_LAMBDA_ALIAS, ".mrap", "--table-s3")
RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")

# "Before March 1, 2018, buckets created in the US East (N. Virginia) Region could have names that were up to 255
# characters long and included uppercase letters and underscores."
BEFORE_MARCH_2018 = re.compile(r"[A-Za-z0-9._-]{3,255}")
REGION_BEFORE_MARCH_2018 = "us-east-1"


def can_be_made(name: str) -> bool:
    """Today, for a general purpose bucket."""
    return is_bucket_name_valid(name) and not name.startswith(RESERVED_PREFIXES) and not name.endswith(RESERVED_SUFFIXES)


def could_be_made_before_march_2018(name: str, region: str) -> bool:
    return region == REGION_BEFORE_MARCH_2018 and bool(BEFORE_MARCH_2018.fullmatch(name))
