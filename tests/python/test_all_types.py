"""Walks every type the published client knows through its life, client unmodified: python test_all_types.py HOST PORT.

For each type: create with every property set and every reference held, read back equal, update every property, list by
parent and by what is referred to, read back references, remove and add references, change single elements of lists and
maps, delete. Types that are made by the system itself must refuse, and so must properties only the system writes or that
are written once. Values come from the client's own tables; what a type-specific rule asks for is in the tables below.
"""

import json
import sys
import urllib.request

from vnc_api import vnc_api as vnc
from vnc_api.exceptions import BadRequest, NoIdError, PermissionDenied, RefsExistError
from vnc_api.gen import resource_client, resource_xsd
from vnc_api.gen.generatedssuper import GeneratedsSuper

# One object from the start: changed and put back, not created.
SINGLETONS = {"config_root", "global_system_config", "global_vrouter_config", "global_qos_config"}

# Made by hand for what a rule asks: by structure, with the round (0: create, 1: update).
STRUCTURES = {
    "SubnetType": lambda n: {"ip_prefix": "10.%d.0.0" % (7 + n), "ip_prefix_len": 24},
    "AllocationPoolType": lambda n: {"start": "10.7.0.20", "end": "10.7.0.99"},
    "AddressType": lambda n: {"security_group": "local"},
    "PortType": lambda n: {"start_port": 80 + n, "end_port": 90 + n},
    "VirtualDnsRecordType": lambda n: {
        "record_name": "www%d" % n, "record_type": "MX", "record_class": "IN", "record_ttl_seconds": 60,
        "record_data": "mail.example.test", "record_mx_preference": 10},
    "UuidType": lambda n: None,
    # Numbers of aggregated interfaces are kept by groups of several links only (tests/rest/interfaces.rs).
    "VpgInterfaceParametersType": lambda n: None,
    # One of two, or one of several.
    "AlarmOperand2": lambda n: {"json_value": str(7 + n)},
    "FirewallRuleEndpointType": lambda n: ({"any": True}, {"virtual_network": "any"})[n % 2],
    # Types of tags by name, and the numbers the service gives for them.
    "FirewallRuleMatchTagsType": lambda n: {"tag_list": [("application", "tier")[n % 2]]},
    "FirewallRuleMatchTagsTypeIdList": lambda n: {"tag_type": [1 + n % 2]},
}

# By the name of the field or property.
FIELDS = {
    "route_target": lambda n: "target:64512:%d" % (77 + n),
    "mac": lambda n: "02:00:00:00:00:%02x" % (7 + n),
    "mac_address": lambda n: "02:00:00:00:00:%02x" % (7 + n),
    "protocol": lambda n: ("tcp", "udp")[n % 2],
    "domain_name": lambda n: "example%d.test" % n,
    "next_virtual_DNS": lambda n: "",
    "virtual_dns_server_name": lambda n: "",
    "ipam_dns_method": lambda n: "default-dns-server",
    "ipam_subnet_method": lambda n: "user-defined-subnet",
    "subnet_uuid": lambda n: None,
    "rule_uuid": lambda n: "6d7d9a3c-0e59-4a3b-9d0a-3c9e14f5f1c%x" % n,
    "owner": lambda n: "cloud-admin",
    "sequence": lambda n: "%d.0" % (1 + n),
    "rule_object": lambda n: ("*", "virtual-network")[n % 2],
    "role_crud": lambda n: ("CRUD", "R")[n % 2],
    "prefix": lambda n: "10.%d.0.0/24" % (7 + n),
    "route": lambda n: "10.%d.0.0/24" % (7 + n),
    "service_interface_type": lambda n: ("left", "right")[n % 2],
    "aggregate_route_nexthop": lambda n: "10.7.0.%d" % (9 + n),
    "next_hop": lambda n: "10.7.0.%d" % (9 + n),
    # Needs the uuid of a table that exists.
    "interface_route_table_uuid": lambda n: None,
}

# By the name of the field or property, where it is a number.
NUMBERS = {
    "version": lambda n: 1 + n % 2,
    # Of `protocol` above.
    "protocol_id": lambda n: (6, 17)[n % 2],
    # Bits of quality of service.
    "key": lambda n: 2 + n % 5,
}

# By type and property.
PROPERTIES = {
    # Subnets of a network stay as they are once they are in use, and flat ones belong to the ipam.
    ("virtual_network", "address_allocation_mode"): lambda n: "user-defined-subnet-preferred",
    # Not together with lists of route targets to import or export.
    ("virtual_network", "multi_policy_service_chains_enabled"): lambda n: False,
    # Needed by allowed address pairs.
    ("virtual_machine_interface", "port_security_enabled"): lambda n: True,
    ("tag", "tag_type_name"): lambda n: ("label", "tier")[n % 2],
    ("tag", "tag_value"): lambda n: ("walk", "run")[n % 2],
    # What clients choose starts at 0x8000: of a tag the lower half, the upper one is its type's.
    ("tag", "tag_id"): lambda n: "0x0000%04x" % (0x8001 + n),
    ("tag_type", "tag_type_id"): lambda n: "0x%04x" % (0x8001 + n),
    ("logical_router", "vxlan_network_identifier"): lambda n: str(9007 + n),
    ("logical_router", "logical_router_type"): lambda n: ("vxlan-routing", "snat-routing")[n % 2],
    # Draft mode would turn all changes of security policies below into drafts.
    ("project", "enable_security_policy_draft"): lambda n: False,
    # No other interface of the device has the name.
    ("logical_interface", "display_name"): lambda n: "logical %d" % n,
    # No other object of the network has the address.
    ("instance_ip", "instance_ip_address"): lambda n: "10.7.0.%d" % (50 + n),
    ("instance_ip", "instance_ip_family"): lambda n: "v4",
    ("alias_ip", "alias_ip_address"): lambda n: "10.7.0.%d" % (30 + n),
    ("floating_ip", "floating_ip_address"): lambda n: "10.7.0.%d" % (40 + n),
    ("physical_interface", "ethernet_segment_identifier"): lambda n: "00:11:22:33:44:55:66:77:88:%02x" % (7 + n),
}

# Properties only the system writes: a client that changes them is refused.
READ_ONLY = {
    ("virtual_network", "virtual_network_network_id"),
    ("security_group", "security_group_id"),
    ("address_group", "draft_mode_state"),
    ("service_group", "draft_mode_state"),
    ("firewall_rule", "draft_mode_state"),
    ("firewall_policy", "draft_mode_state"),
    ("application_policy_set", "draft_mode_state"),
    ("application_policy_set", "all_applications"),
}

# Properties that are not written, and why.
LEFT_OUT = {
    ("instance_ip", "subnet_uuid"): "follows from the address",
    ("network_ipam", "ipam_subnets"): "the subnets are the network's, which refers to the ipam",
    ("floating_ip_pool", "floating_ip_pool_subnets"): "uuids of subnets of the network, which the system makes up",
    ("tag", "display_name"): "the name is made of type and value",
    ("tag_type", "display_name"): "is the name",
}

# Properties, and fields of properties, that are written once: an update that changes them is refused.
FIXED = {
    ("tag", "tag_type_name"),
    ("tag", "tag_value"),
    ("tag", "tag_id"),
    ("tag", "tag_predefined"),
    ("tag_type", "tag_type_id"),
    ("sub_cluster", "sub_cluster_asn"),
    # The one of its sub-cluster.
    ("bgp_router", "bgp_router_parameters.autonomous_system"),
    # Because it refers to a zone of control nodes.
    ("bgp_router", "bgp_router_parameters.router_type"),
    ("bgpvpn", "bgpvpn_type"),
    # As long as it is a provider network.
    ("virtual_network", "provider_properties"),
    ("logical_router", "logical_router_type"),
    ("service_health_check", "service_health_check_properties.health_check_type"),
    ("bgp_as_a_service", "bgpaas_shared"),
    ("logical_interface", "display_name"),
    ("logical_interface", "logical_interface_vlan_tag"),
    ("physical_interface", "display_name"),
    ("physical_interface", "physical_interface_type"),
    ("routing_policy", "term_type"),
    ("floating_ip", "floating_ip_address"),
    ("floating_ip", "floating_ip_address_family"),
    ("alias_ip", "alias_ip_address"),
    ("alias_ip", "alias_ip_address_family"),
}

# Names that are made of properties.
NAMES = {"tag": "label=walk"}

# References a generic object must not have, and why.
REFERENCES = {
    ("instance_ip", "network_ipam"): "an address belongs to a network or to an ipam, not to both",
    ("instance_ip", "virtual_router"): "nor to a vRouter",
    ("virtual_machine_interface", "virtual_machine_interface"): "a sub-interface is not above a sub-interface",
    ("virtual_network", "virtual_network"): "a provider network does not refer to a provider network",
    ("tag", "tag_type"): "follows from tag_type_name",
    ("firewall_rule", "service_group"): "excludes the rule's own service",
    ("firewall_rule", "address_group"): "follows from the rule's ends",
    ("firewall_rule", "tag"): "follows from the rule's ends",
    ("logical_router", "virtual_network"): "the gateway is not a network the router has an interface in",
    ("logical_router", "bgpvpn"): "the VPN is of type l2, and the router's network has it",
}
# References an object can not be without, or that stay while addresses are in use.
KEPT = {
    ("virtual_machine_interface", "virtual_network"),
    ("instance_ip", "virtual_network"),
    # Once away it is not given back: the interface has become one of a virtual machine.
    ("logical_router", "virtual_machine_interface"),
    ("virtual_network", "network_ipam"),
}


def plain(value):
    """A value of the client as plain JSON, without what is absent."""
    if isinstance(value, GeneratedsSuper):
        value = {name: getattr(value, name) for name in value.attr_fields}
    if isinstance(value, dict):
        kept = {name: plain(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner is not None and inner != []}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def covers(got, wanted):
    """Whether `got` says everything `wanted` says; the system fills in what was left open."""
    if wanted is None:
        return True
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(covers(got.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(got, type(wanted)) and len(got) == len(wanted) and all(map(covers, got, wanted))
    return got == wanted


def number(restrictions, n):
    if restrictions:
        low, high = int(restrictions[0]), int(restrictions[-1])
        return min(max(low, 7 + n), high)
    return 7 + n


def scalar(name, kind, simple, restrictions, n):
    """A legal value of a simple type; different in different rounds where that is possible."""
    if kind == "boolean":
        return n % 2 == 0
    if kind in ("integer", "unsignedLong"):
        return NUMBERS[name](n) if name in NUMBERS else number(restrictions, n)
    if simple in ("IpAddressType", "IpAddress"):
        return "10.7.0.%d" % (9 + n)
    if name in FIELDS and (not restrictions or FIELDS[name](n) in restrictions):
        return FIELDS[name](n)
    if restrictions:
        return restrictions[n % len(restrictions)]
    return 'text %d, "quoted" & <marked> \u00fc' % n


def structure(name, n):
    if name in STRUCTURES:
        fields = STRUCTURES[name](n)
        return None if fields is None else getattr(resource_xsd, name)(**fields)
    cls = getattr(resource_xsd, name)
    fields = {}
    for field, kind in cls.attr_field_type_vals.items():
        if kind["is_complex"]:
            value = structure(kind["attr_type"], n)
        else:
            value = scalar(field, kind["attr_type"], kind["simple_type"], kind["restrictions"], n)
        if value is not None:
            fields[field] = [value] if kind["is_array"] else value
    return cls(**fields)


def prop(cls, name, n):
    """A legal value of a property; `None`: leave it alone."""
    key = (cls.object_type, name)
    if key in READ_ONLY or key in LEFT_OUT or name in ("id_perms", "perms2"):
        return None
    return PROPERTIES[key](n) if key in PROPERTIES else generic(cls, name, n)


def generic(cls, name, n):
    """A value of a property by its type alone."""
    kind = cls.prop_field_types[name]
    if kind["is_complex"]:
        return structure(kind["xsd_type"], n)
    return scalar(name, kind["xsd_type"], kind["simple_type"], kind["restrictions"], n)


class Walk:
    def __init__(self, host, port):
        self.api = vnc.VncApi(api_server_host=host, api_server_port=port, auth_type="noauth")
        with urllib.request.urlopen("http://%s:%s/openapi.json" % (host, port)) as answer:
            self.schemas = json.load(answer)["components"]["schemas"]
        found = vars(resource_client).values()
        self.classes = {c.object_type: c for c in found if hasattr(c, "prop_fields") and hasattr(c, "resource_type")}
        self.made = {}
        self.where = ""

    def call(self, cls, verb, *args, **kwargs):
        self.where = "%s %s" % (cls.object_type, verb)
        return getattr(self.api, "%s_%s" % (cls.object_type, verb))(*args, **kwargs)

    def derived(self, object_type):
        return self.schemas[object_type.replace("_", "-")].get("x-weft-derived", False)

    def by_system(self, cls, field):
        return self.schemas[cls.resource_type]["properties"][field].get("readOnly", False)

    def references(self, cls):
        """Types a client may refer to from a type, with the class of the attribute."""
        for field in sorted(cls.ref_fields):
            target, attr = cls.ref_field_types[field][:2]
            target = target.replace("-", "_")
            if not self.by_system(cls, field) and (cls.object_type, target) not in REFERENCES:
                yield target, None if attr == "None" else attr

    def parent_type(self, cls):
        parents = [p.replace("-", "_") for p in cls.parent_types]
        if not parents:
            return None
        return "project" if "project" in parents else parents[0]

    def order(self):
        """Parents first, and as much as possible of what is referred to."""
        left = {t for t in self.classes if not self.derived(t) and t not in SINGLETONS}
        while left:
            def missing(t):
                return sum(target in left and target != t for target, _ in self.references(self.classes[t]))
            free = [t for t in left if self.parent_type(self.classes[t]) not in left]
            chosen = min(sorted(free), key=missing)
            left.remove(chosen)
            yield chosen

    def existing(self, object_type):
        """The object that is there from the start, or made by the system."""
        cls = self.classes[object_type]
        if object_type == "routing_instance":
            name = ["default-domain", "default-project", "ip-fabric", "__default__"]
        else:
            listed = getattr(self.api, "%ss_list" % object_type)()[cls.resource_type + "s"]
            if not listed:
                return None
            name = listed[0]["fq_name"]
        return self.call(cls, "read", fq_name=name)

    def holder(self, object_type):
        """An object of a type to be a parent or a target."""
        if object_type not in self.made:
            if object_type not in SINGLETONS and not self.derived(object_type):
                return None
            self.made[object_type] = self.existing(object_type)
        return self.made[object_type]

    def build(self, object_type):
        cls = self.classes[object_type]
        parent = self.parent_type(cls)
        name = NAMES.get(object_type, "walk-%s" % cls.resource_type)
        if parent in (None, "config_root"):
            obj = cls(name) if parent is None else cls(name, fq_name=[name], parent_type="config-root")
        else:
            obj = cls(name, parent_obj=self.holder(parent))
        self.fill(obj, 0)
        for target, attr in self.references(cls):
            self.refer(obj, target, attr)
        return obj

    def fill(self, obj, n):
        values = {}
        for name in sorted(obj.prop_fields):
            if n and (obj.object_type, name) in FIXED:
                continue
            value = prop(type(obj), name, n)
            for of, path in FIXED:
                if of == obj.object_type and path.startswith(name + "."):
                    field = path.split(".")[1]
                    setattr(value, field, getattr(prop(type(obj), name, 0), field))
            if value is not None:
                getattr(obj, "set_" + name)(value)
                values[name] = plain(value)
        return values

    def refer(self, obj, target, attr):
        held = self.holder(target)
        if held is None:
            return False
        extra = [structure(attr, 0)] if attr else []
        getattr(obj, "add_" + target)(held, *extra)
        return True

    def same(self, read, values):
        for name, value in values.items():
            got = plain(getattr(read, "get_" + name)())
            assert got == value, "%s.%s: %r is not %r" % (read.object_type, name, got, value)

    def targets(self, read):
        out = {}
        for target, _ in self.references(type(read)):
            refs = getattr(read, "get_%s_refs" % target)() or []
            out[target] = [(r["uuid"], plain(r.get("attr"))) for r in refs]
        return {target: refs for target, refs in out.items() if refs}

    def create(self, object_type):
        cls = self.classes[object_type]
        obj = self.build(object_type)
        values = {n: plain(getattr(obj, "get_" + n)()) for n in obj.prop_fields if n not in ("id_perms", "perms2")}
        values = {name: value for name, value in values.items() if value is not None}
        wanted = {}
        for target, attr in self.references(cls):
            for ref in getattr(obj, target + "_refs", None) or []:
                wanted.setdefault(target, []).append((ref["uuid"], plain(ref.get("attr"))))
        self.call(cls, "create", obj)
        read = self.call(cls, "read", id=obj.uuid)
        self.same(read, values)
        assert read.get_fq_name() == obj.get_fq_name() and read.get_id_perms().get_created()
        held = self.targets(read)
        assert set(held) == set(wanted) and covers(held, wanted), "%s: %r is not %r" % (object_type, held, wanted)
        self.made[object_type] = read

    def update(self, object_type):
        cls = self.classes[object_type]
        for of, path in sorted(READ_ONLY | FIXED):
            if of == object_type:
                self.refused_change(self.call(cls, "read", id=self.made[object_type].uuid), path)
        read = self.call(cls, "read", id=self.made[object_type].uuid)
        values = self.fill(read, 1)
        refs = self.targets(read)
        self.call(cls, "update", read)
        again = self.call(cls, "read", fq_name=read.get_fq_name())
        self.same(again, values)
        assert self.targets(again) == refs, "%s: an update lost references" % object_type

    def refused_change(self, held, path):
        """What only the system writes, or what is written once, does not change."""
        cls = type(held)
        obj = cls(held.name, fq_name=held.get_fq_name(), parent_type=getattr(held, "parent_type", None))
        obj.uuid = held.uuid
        name, _, field = path.partition(".")
        if field:
            value = getattr(held, "get_" + name)()
            setattr(value, field, getattr(generic(cls, name, 1), field))
        else:
            own = PROPERTIES.get((cls.object_type, name))
            value = own(1) if own else generic(cls, name, 1)
            if value == getattr(held, "get_" + name)():
                value = generic(cls, name, 0)
        getattr(obj, "set_" + name)(value)
        self.where = "%s %s" % (cls.object_type, path)
        update = getattr(self.api, cls.object_type + "_update")
        self.expect((BadRequest, PermissionDenied, RefsExistError), update, obj)

    def elements(self, object_type):
        """Single elements of maps: set, replaced, deleted; of lists: added, deleted."""
        cls = self.classes[object_type]
        uuid = self.made[object_type].uuid
        for name in sorted(cls.prop_map_fields):
            key = cls.prop_map_field_key_names[name]
            wrapper = prop(cls, name, 0)
            element = plain(getattr(wrapper, wrapper.attr_fields[0])[0])
            item = getattr(resource_xsd, list(wrapper.attr_field_type_vals.values())[0]["attr_type"])
            element[key] = 1 if isinstance(element[key], int) else "walk"
            obj = self.call(cls, "read", id=uuid)
            getattr(obj, "add_" + name)(item(**element))
            self.call(cls, "update", obj)
            held = plain(getattr(self.call(cls, "read", id=uuid), "get_" + name)())[wrapper.attr_fields[0]]
            assert element in held and len(held) == 2, (object_type, name, held)
            obj = self.call(cls, "read", id=uuid)
            getattr(obj, "del_" + name)(str(element[key]))
            self.call(cls, "update", obj)
            held = plain(getattr(self.call(cls, "read", id=uuid), "get_" + name)())[wrapper.attr_fields[0]]
            assert len(held) == 1, (object_type, name, held)
        for name in sorted(cls.prop_list_fields):
            wrapper = prop(cls, name, 2)
            if wrapper is None:
                continue
            field = wrapper.attr_fields[0]
            value = getattr(wrapper, field)
            value = value[0] if isinstance(value, list) else value
            obj = self.call(cls, "read", id=uuid)
            getattr(obj, "add_" + name)(value)
            self.call(cls, "update", obj)
            held = plain(getattr(self.call(cls, "read", id=uuid), "get_" + name)())[field]
            assert held[-1] == plain(value) and len(held) == 2, (object_type, name, held)
            obj = self.call(cls, "read", id=uuid)
            getattr(obj, "del_" + name)("1")
            self.call(cls, "update", obj)
            held = plain(getattr(self.call(cls, "read", id=uuid), "get_" + name)())[field]
            assert len(held) == 1, (object_type, name, held)

    def lists(self, object_type):
        cls = self.classes[object_type]
        obj = self.made[object_type]
        self.where = "%s list" % object_type
        listing = getattr(self.api, "%ss_list" % object_type)
        uuids = lambda **query: [item["uuid"] for item in listing(**query)[cls.resource_type + "s"]]
        assert obj.uuid in uuids()
        parent = self.parent_type(cls)
        if parent not in (None, "config_root"):
            above = self.holder(parent)
            assert obj.uuid in uuids(parent_id=above.uuid)
            read = self.call(self.classes[parent], "read", id=above.uuid, fields=[object_type + "s"])
            children = getattr(read, "get_%ss" % object_type)() or []
            assert obj.uuid in [child["uuid"] for child in children], "%s: not among the children" % object_type
        for target, refs in self.targets(obj).items():
            assert obj.uuid in uuids(back_ref_id=refs[0][0]), "%s by %s" % (object_type, target)
            field = "%s_back_refs" % object_type
            read = self.call(self.classes[target], "read", id=refs[0][0], fields=[field])
            back = getattr(read, "get_" + field)() or []
            assert obj.uuid in [ref["uuid"] for ref in back], "%s: no %s" % (target, field)
        detail = listing(obj_uuids=[obj.uuid], detail=True)
        assert [item.get_fq_name() for item in detail] == [obj.get_fq_name()]

    def reference_changes(self, object_type):
        """Each reference away and back, by `ref-update`; those the system writes are refused."""
        cls = self.classes[object_type]
        obj = self.made[object_type]
        for target, attr in self.references(cls):
            held = self.holder(target)
            if held is None or (object_type, target) in KEPT:
                continue
            names = (cls.resource_type, obj.uuid, target.replace("_", "-"), held.uuid, None)
            self.where = "%s ref to %s" % (object_type, target)
            value = structure(attr, 1) if attr else None
            if target in self.targets(self.call(cls, "read", id=obj.uuid)):
                self.api.ref_update(*names, "DELETE")
                assert target not in self.targets(self.call(cls, "read", id=obj.uuid)), self.where
            self.api.ref_update(*names, "ADD", attr=value)
            refs = self.targets(self.call(cls, "read", id=obj.uuid))
            assert [ref[0] for ref in refs[target]] == [held.uuid], (self.where, refs)
            assert not attr or covers(refs[target][0][1], plain(value)), (self.where, refs, plain(value))
            if target != object_type and not self.derived(target):
                self.expect(RefsExistError, self.call, self.classes[target], "delete", id=held.uuid)
        for field in sorted(f for f in cls.ref_fields if self.by_system(cls, f)):
            target = cls.ref_field_types[field][0]
            other = self.made.get(target.replace("-", "_"))
            if other is not None:
                self.where = "%s ref to %s" % (object_type, target)
                self.expect(BadRequest, self.api.ref_update, cls.resource_type, obj.uuid, target, other.uuid, None, "ADD")

    def expect(self, error, call, *args, **kwargs):
        try:
            call(*args, **kwargs)
        except error:
            return
        raise AssertionError("%s: %s expected" % (self.where, error))

    def singleton(self, object_type):
        cls = self.classes[object_type]
        obj = self.existing(object_type)
        before = {n: plain(getattr(obj, "get_" + n)()) for n in obj.prop_fields if n not in ("id_perms", "perms2")}
        values = self.fill(obj, 1)
        self.call(cls, "update", obj)
        self.same(self.call(cls, "read", id=obj.uuid), values)
        return len(before)

    def refused(self, object_type):
        """What the system makes can be listed and read, and nothing else."""
        cls = self.classes[object_type]
        getattr(self.api, "%ss_list" % object_type)()
        if cls.parent_types:
            obj = cls("walk", parent_obj=self.holder("virtual_network"))
        else:
            obj = cls("target:64512:99")
        self.expect((BadRequest, PermissionDenied), self.call, cls, "create", obj)

    def delete(self, object_type):
        """References first where two types refer to each other."""
        cls = self.classes[object_type]
        obj = self.made[object_type]
        self.call(cls, "delete", id=obj.uuid)
        self.expect(NoIdError, self.call, cls, "read", id=obj.uuid)
        self.expect(NoIdError, self.api.fq_name_to_id, cls.resource_type, obj.get_fq_name())

    def unlink(self, object_type):
        cls = self.classes[object_type]
        obj = self.call(cls, "read", id=self.made[object_type].uuid)
        for target, refs in self.targets(obj).items():
            if (object_type, target) not in KEPT:
                self.where = "%s unlink %s" % (object_type, target)
                for uuid, _ in refs:
                    self.api.ref_update(cls.resource_type, obj.uuid, target.replace("_", "-"), uuid, None, "DELETE")


STEPS = ("create", "update", "elements", "lists", "reference_changes")


def main(host, port):
    walk = Walk(host, port)
    assert len(walk.classes) == 121, len(walk.classes)
    order = list(walk.order())
    failed = []

    def step(name, object_type):
        try:
            getattr(walk, name)(object_type)
        except Exception as error:  # all findings of a run, not the first only
            failed.append("%s (%s): %s: %s" % (name, walk.where, type(error).__name__, error))

    for name in STEPS:
        for object_type in order:
            if name == "create" or object_type in walk.made:
                step(name, object_type)
    for object_type in sorted(t for t in walk.classes if walk.derived(t)):
        step("refused", object_type)
    for name in ("unlink", "delete"):
        for object_type in reversed(order):
            if object_type in walk.made:
                step(name, object_type)
    for object_type in sorted(SINGLETONS):
        step("singleton", object_type)
    if failed:
        sys.exit("\n".join(failed))
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
