"""An S3 service in memory, for as long as its standard input is open.

Once it accepts requests it prints `endpoint URL`, a line `key USER ID SECRET` for each user, and `ready`. With the argument
`checked` it then checks every request's signature and whether its user may do that; with `open` it answers everybody.
"""

import json
import os
import sys

import boto3
import requests
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

BUCKET = "causeway-test"

# What each user may do in the bucket. The guest lists it, and reads nothing but one folder.
MAY = {
    "owner": [("s3:*", "*")],
    "reader": [("s3:ListBucket", "*"), ("s3:GetObject", "*")],
    "guest": [("s3:ListBucket", "*"), ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/shared/open*")],
}


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    settings = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "setup",
        "aws_secret_access_key": "setup",
    }
    print("endpoint", endpoint)
    iam = boto3.client("iam", **settings)
    for user, allowed in MAY.items():
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="may", PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        print("key", user, key["AccessKeyId"], key["SecretAccessKey"])
    s3 = boto3.client("s3", **settings)
    s3.create_bucket(Bucket=BUCKET)
    if sys.argv[1] == "open":
        everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
        s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    if sys.argv[1] == "checked":
        # So many requests are answered before any is checked.
        requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
