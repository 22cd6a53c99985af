"""Drives the REST interface with the published client, unmodified: python test_vnc_api.py HOST PORT."""

import sys

from vnc_api import vnc_api as vnc
from vnc_api.exceptions import BadRequest, NoIdError, RefsExistError

PROJECT = ["default-domain", "acme"]


def expect(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error:
        return
    raise AssertionError("%s did not raise %s" % (call, error.__name__))


def make_project(api):
    domain = api.domain_read(fq_name=["default-domain"])
    project = vnc.Project("acme", parent_obj=domain)
    api.project_create(project)
    assert api.project_read(fq_name=PROJECT).uuid == project.uuid
    return project


def make_network(api, project):
    ipam = vnc.NetworkIpam("ipam", parent_obj=project)
    api.network_ipam_create(ipam)
    network = vnc.VirtualNetwork("blue", parent_obj=project)
    subnet = vnc.IpamSubnetType(subnet=vnc.SubnetType("10.1.1.0", 24))
    network.add_network_ipam(ipam, vnc.VnSubnetsType([subnet]))
    api.virtual_network_create(network)
    read = api.virtual_network_read(id=network.uuid)
    stored = read.get_network_ipam_refs()[0]["attr"].get_ipam_subnets()[0]
    assert stored.get_default_gateway() == "10.1.1.254", stored.get_default_gateway()
    assert read.get_virtual_network_network_id() >= 1
    assert read.get_parent_fq_name() == PROJECT
    return read


def make_policy(api, project):
    rule = vnc.PolicyRuleType(
        direction="<>",
        protocol="tcp",
        src_addresses=[vnc.AddressType(virtual_network="default-domain:acme:blue")],
        src_ports=[vnc.PortType(-1, -1)],
        dst_addresses=[vnc.AddressType(virtual_network="any")],
        dst_ports=[vnc.PortType(80, 80)],
        action_list=vnc.ActionListType(simple_action="pass"),
    )
    policy = vnc.NetworkPolicy("web", network_policy_entries=vnc.PolicyEntriesType([rule]), parent_obj=project)
    api.network_policy_create(policy)
    rules = api.network_policy_read(id=policy.uuid).get_network_policy_entries().get_policy_rule()
    assert rules[0].get_rule_uuid() and rules[0].get_dst_ports()[0].get_end_port() == 80
    return policy


def attach_policy(api, network, policy):
    network.add_network_policy(policy, vnc.VirtualNetworkPolicyType(sequence=vnc.SequenceType(0, 0)))
    api.virtual_network_update(network)
    read = api.virtual_network_read(fq_name=network.get_fq_name())
    assert read.get_network_policy_refs()[0]["uuid"] == policy.uuid
    assert read.get_network_policy_refs()[0]["attr"].get_sequence().get_major() == 0
    policy = api.network_policy_read(id=policy.uuid)
    assert policy.get_virtual_network_back_refs()[0]["uuid"] == network.uuid
    expect(RefsExistError, api.network_policy_delete, id=policy.uuid)
    return read


def make_interface(api, project, network):
    machine = vnc.VirtualMachine("vm-1")
    api.virtual_machine_create(machine)
    interface = vnc.VirtualMachineInterface("port-1", parent_obj=project)
    interface.set_virtual_network(network)
    interface.set_virtual_machine(machine)
    api.virtual_machine_interface_create(interface)
    address = vnc.InstanceIp("ip-1")
    address.set_virtual_network(network)
    address.set_virtual_machine_interface(interface)
    api.instance_ip_create(address)
    address = api.instance_ip_read(id=address.uuid)
    assert address.get_instance_ip_address() == "10.1.1.252", address.get_instance_ip_address()
    interface = api.virtual_machine_interface_read(id=interface.uuid)
    macs = interface.get_virtual_machine_interface_mac_addresses().get_mac_address()
    assert macs == ["02:" + ":".join(interface.uuid.replace("-", "")[i:i + 2] for i in range(0, 10, 2))], macs
    assert interface.get_instance_ip_back_refs()[0]["uuid"] == address.uuid
    assert interface.get_routing_instance_refs()[0]["to"][-1] == "blue"
    return machine, interface, address


def change_interface(api, interface):
    interface.set_display_name("first port")
    interface.add_virtual_machine_interface_bindings(vnc.KeyValuePair("host_id", "c1"))
    api.virtual_machine_interface_update(interface)
    interface.add_virtual_machine_interface_bindings(vnc.KeyValuePair("vif_type", "vrouter"))
    interface.del_virtual_machine_interface_bindings("host_id")
    api.virtual_machine_interface_update(interface)
    read = api.virtual_machine_interface_read(id=interface.uuid)
    assert read.get_display_name() == "first port"
    pairs = read.get_virtual_machine_interface_bindings().get_key_value_pair()
    assert [(p.get_key(), p.get_value()) for p in pairs] == [("vif_type", "vrouter")], pairs


def lists(api, project, network):
    found = api.virtual_networks_list(parent_id=project.uuid)["virtual-networks"]
    assert [n["uuid"] for n in found] == [network.uuid]
    found = api.virtual_networks_list(parent_fq_name=PROJECT, detail=True)
    assert found[0].get_fq_name() == network.get_fq_name() and found[0].get_id_perms().get_enable()
    found = api.virtual_networks_list(filters={"display_name": "blue"}, fields=["virtual_network_network_id"])
    assert found["virtual-networks"][0]["virtual_network_network_id"] == network.get_virtual_network_network_id()
    assert api.virtual_networks_list(parent_id=project.uuid, count=True)["virtual-networks"]["count"] == 1
    assert api.virtual_networks_list(parent_fq_name=["default-domain", "nobody"])["virtual-networks"] == []
    machines = []
    for index in range(30):
        machine = vnc.VirtualMachine("many-%02d" % index)
        api.virtual_machine_create(machine)
        machines.append(machine.uuid)
    # More than 25 identities go into the body of a POST.
    assert len(api.virtual_machines_list(obj_uuids=machines)["virtual-machines"]) == 30
    for uuid in machines:
        api.virtual_machine_delete(id=uuid)


def actions(api, network, interface):
    assert api.fq_name_to_id("virtual-network", network.get_fq_name()) == network.uuid
    expect(NoIdError, api.fq_name_to_id, "virtual-network", ["no", "such", "name"])
    assert api.id_to_fq_name(network.uuid) == network.get_fq_name()
    assert api.id_to_fq_name_type(interface.uuid)[1] == "virtual-machine-interface"
    addresses = api.virtual_network_ip_alloc(network, count=2)
    assert len(addresses) == 2
    api.virtual_network_ip_free(network, addresses)
    group = vnc.SecurityGroup("sg", parent_obj=api.project_read(fq_name=PROJECT))
    api.security_group_create(group)
    api.ref_update("virtual-machine-interface", interface.uuid, "security-group", group.uuid, None, "ADD")
    read = api.virtual_machine_interface_read(id=interface.uuid)
    assert read.get_security_group_refs()[0]["uuid"] == group.uuid
    assert api.security_group_read(id=group.uuid).get_security_group_id() >= 8000000
    api.ref_relax_for_delete(interface.uuid, group.uuid)
    api.security_group_delete(id=group.uuid)
    assert not api.virtual_machine_interface_read(id=interface.uuid).get_security_group_refs()
    api.kv_store("key", "value")
    assert api.kv_retrieve("key") == "value"
    api.kv_delete("key")


def errors(api, project, network):
    expect(NoIdError, api.virtual_network_read, fq_name=["default-domain", "acme", "none"])
    expect(NoIdError, api.virtual_network_read, id="00000000-0000-4000-8000-000000000000")
    expect(RefsExistError, api.virtual_network_create, vnc.VirtualNetwork("blue", parent_obj=project))
    expect(RefsExistError, api.virtual_network_delete, id=network.uuid)
    bad = vnc.VirtualNetwork("bad", virtual_network_properties=vnc.VirtualNetworkType(rpf="sideways"), parent_obj=project)
    expect(BadRequest, api.virtual_network_create, bad)
    fabric = api.virtual_network_read(fq_name=["default-domain", "default-project", "ip-fabric"])
    expect(RefsExistError, api.virtual_network_delete, id=fabric.uuid)


def main(host, port):
    api = vnc.VncApi(api_server_host=host, api_server_port=port, auth_type="noauth")
    project = make_project(api)
    network = make_network(api, project)
    policy = make_policy(api, project)
    network = attach_policy(api, network, policy)
    machine, interface, address = make_interface(api, project, network)
    change_interface(api, interface)
    lists(api, project, network)
    actions(api, network, interface)
    errors(api, project, network)
    api.instance_ip_delete(id=address.uuid)
    api.virtual_machine_interface_delete(id=interface.uuid)
    api.virtual_machine_delete(id=machine.uuid)
    network.set_network_policy_list([], [])
    api.virtual_network_update(network)
    api.network_policy_delete(id=policy.uuid)
    api.virtual_network_delete(id=network.uuid)
    api.network_ipam_delete(fq_name=PROJECT + ["ipam"])
    api.project_delete(id=project.uuid)
    expect(NoIdError, api.project_read, id=project.uuid)
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
