"""The off-hours filters of Cloud Custodian, asked every quarter of an hour between two moments.

Takes a list of cases: the policies that stop and start, the tags of a resource, and the span in
seconds since 1970. Prints for each the moments at which the first matches, and the second.
"""

import datetime
import json
import logging
import sys

from c7n.filters import offhours

logging.disable(logging.CRITICAL)


class Clock(datetime.datetime):
    """What the filters take for now."""

    moment = 0

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(cls.moment, tz)


class Module:
    """The module `datetime` as the filters see it."""

    datetime = Clock


offhours.datetime = Module


def matches(policy, case):
    tags = [{"Key": key, "Value": value} for key, value in case["tags"].items()]
    found = []
    for moment in range(case["from"], case["until"], 900):
        Clock.moment = moment
        if policy({"InstanceId": "i-1", "Tags": tags}):
            found.append(moment)
    return found


answers = []
for case in json.loads(sys.argv[1]):
    off = offhours.OffHour(case["off"]).validate()
    on = offhours.OnHour(case["on"]).validate()
    answers.append([matches(off, case), matches(on, case)])
print(json.dumps(answers))
