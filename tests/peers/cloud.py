"""boto3 as an independent witness: makes one call at an endpoint and prints the answer as JSON.

usage: cloud.py URL REGION SERVICE OPERATION [PARAMETERS-AS-JSON]
A refusal is printed too, as {"refused": CODE, "message": TEXT, "status": NUMBER}.
"""

import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise TypeError(f"{type(value)} in an answer")


url, region, service, operation = sys.argv[1:5]
parameters = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
client = boto3.client(
    service,
    endpoint_url=url,
    region_name=region,
    aws_access_key_id="test",
    aws_secret_access_key="test",
    config=Config(retries={"total_max_attempts": 1}),
)
try:
    answer = getattr(client, operation)(**parameters)
    answer.pop("ResponseMetadata", None)
except ClientError as error:
    answer = {
        "refused": error.response["Error"]["Code"],
        "message": error.response["Error"]["Message"],
        "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
    }
print(json.dumps(answer, default=plain))
