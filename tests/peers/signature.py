"""Alibaba Cloud's own words on a request, by its official packages: one JSON line in, one out.

{"sign": "v3", method, path, query, headers, body, key, secret}
                                             the Authorization due, and the hash of the body
{"sign": "v1", method, query, secret}        the Signature due
{"names": OPERATION, "product": PRODUCT}     the parameters that the operation takes, or null

Ends when its standard input does.
"""

import importlib
import inspect
import json
import sys

from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest

PRODUCTS = {
    "ecs": "alibabacloud_ecs20140526",
    "ess": "alibabacloud_ess20220222",
    "cms": "alibabacloud_cms20190101",
    "sts": "alibabacloud_sts20150401",
    "vpc": "alibabacloud_vpc20160428",
    "slb": "alibabacloud_slb20140515",
    "alb": "alibabacloud_alb20200616",
    "nlb": "alibabacloud_nlb20220430",
}


class Asked(dict):
    """Stands in for a map of parameters and notes what a request model asks it for."""

    def __init__(self, path, notes):
        super().__init__()
        self.path, self.notes = path, notes

    def __bool__(self):
        return True

    def __iter__(self):
        yield Asked(f"{self.path}.N", self.notes)

    def get(self, key, default=None):
        child = Asked(f"{self.path}.{key}" if self.path else key, self.notes)
        self.notes.append(child)
        return child


def listed(model):
    """The attributes of a model that hold a list of plain values."""
    parameters = inspect.signature(type(model).__init__).parameters.values()
    return {p.name for p in parameters if str(p.annotation).startswith("List[")}


def names(product, operation):
    models = importlib.import_module(PRODUCTS[product] + ".models")
    if not hasattr(models, operation + "Response"):
        return None
    found = set()
    # A `Shrink` request takes as JSON text what the plain one takes apart.
    for kind in ["Request", "ShrinkRequest"]:
        if not hasattr(models, operation + kind):
            continue
        notes = []
        model = getattr(models, operation + kind)().from_map(Asked("", notes))
        paths = {child.path for child in notes}
        whole = {path for path in paths if not any(p.startswith(path + ".") for p in paths)}
        lists = listed(model)
        for attribute, value in vars(model).items():
            if isinstance(value, Asked) and attribute in lists:
                whole.remove(value.path)
                whole.add(value.path + ".N")
        found |= whole
    return sorted(found)


def answered(ask):
    if "names" in ask:
        return names(ask["product"], ask["names"])
    if ask["sign"] == "v1":
        return Utils.get_rpcsignature(ask["query"], ask["method"], ask["secret"])
    request = DaraRequest()
    request.method, request.pathname = ask["method"], ask["path"]
    request.query, request.headers = ask["query"], ask["headers"]
    algorithm = "ACS3-HMAC-SHA256"
    hashed = Utils.hex_encode(Utils.hash(ask["body"].encode(), algorithm))
    key, secret = ask["key"], ask["secret"]
    return [Utils.get_authorization(request, algorithm, hashed, key, secret), hashed]


for line in sys.stdin:
    print(json.dumps(answered(json.loads(line))), flush=True)
