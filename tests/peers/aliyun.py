"""Alibaba Cloud's official SDK as an independent witness: makes one call, prints the answer as JSON.

usage: aliyun.py URL REGION PRODUCT OPERATION PARAMETERS-AS-JSON KEY SECRET [TOKEN]
A refusal is printed too, as {"refused": CODE, "message": TEXT, "status": NUMBER}.
"""

import importlib
import json
import re
import sys
import urllib.request
from email.utils import parsedate_to_datetime

from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_openapi.utils import Utils
from darabonba.runtime import RuntimeOptions
from Tea.exceptions import TeaException

PACKAGES = {
    "ecs": "alibabacloud_ecs20140526",
    "ess": "alibabacloud_ess20220222",
    "cms": "alibabacloud_cms20190101",
    "sts": "alibabacloud_sts20150401",
    "vpc": "alibabacloud_vpc20160428",
    "slb": "alibabacloud_slb20140515",
    "alb": "alibabacloud_alb20200616",
    "nlb": "alibabacloud_nlb20220430",
}

url, region, product, operation, parameters, key, secret = sys.argv[1:8]
# The stand-in lives in test time, so this call does too.
clock = urllib.request.urlopen(url + "/clock").headers["Date"]
now = parsedate_to_datetime(clock).strftime("%Y-%m-%dT%H:%M:%SZ")
Utils.get_timestamp = staticmethod(lambda: now)
config = Config(
    access_key_id=key,
    access_key_secret=secret,
    security_token=sys.argv[8] if len(sys.argv) > 8 else None,
    region_id=region,
    endpoint=url.removeprefix("http://"),
    protocol="http",
)
client = importlib.import_module(PACKAGES[product] + ".client").Client(config)
models = importlib.import_module(PACKAGES[product] + ".models")
method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower() + "_with_options"
runtime = RuntimeOptions(autoretry=False, max_attempts=1)
try:
    if hasattr(models, operation + "Request"):
        request = getattr(models, operation + "Request")().from_map(json.loads(parameters))
        answer = getattr(client, method)(request, runtime)
    else:
        answer = getattr(client, method)(runtime)
    answer = answer.body.to_map()
except (AlibabaCloudException, TeaException) as error:
    status = getattr(error, "status_code", None) or getattr(error, "statusCode", None)
    answer = {"refused": error.code, "message": error.message, "status": status}
print(json.dumps(answer, ensure_ascii=False))
