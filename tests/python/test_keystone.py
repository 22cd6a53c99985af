"""The published client with Keystone tokens: api host, api port, Keystone's port, user, password, project."""

import sys

from vnc_api import vnc_api
from vnc_api.exceptions import AuthFailed


def client(password):
    return vnc_api.VncApi(
        username=USER, password=password, tenant_name=PROJECT, domain_name="Default",
        api_server_host=HOST, api_server_port=PORT, auth_type="keystone", auth_protocol="http",
        auth_host="127.0.0.1", auth_port=KEYSTONE, auth_url="/v3/auth/tokens",
    )


HOST, PORT, KEYSTONE, USER, PASSWORD, PROJECT = sys.argv[1:7]

api = client(PASSWORD)
made = api.virtual_machine_create(vnc_api.VirtualMachine(name="by-keystone"))
assert api.virtual_machine_read(id=made).name == "by-keystone"
api.virtual_machine_delete(id=made)

try:
    client("wrong").virtual_machines_list()
except (AuthFailed, vnc_api.PermissionDenied, RuntimeError) as refused:
    assert "401" in str(refused) or isinstance(refused, (AuthFailed, RuntimeError)), refused
else:
    raise AssertionError("a wrong password was let in")
print("ok")
