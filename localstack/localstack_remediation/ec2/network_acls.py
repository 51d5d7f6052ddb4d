"""Network ACLs: the catch-all denies, which moto lacks in part and lets go, and the errors of their entries."""

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto, call_moto_with_request
from localstack.utils.patch import patch
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.network_acls import NetworkAcl

from ..moto_services import aws_error

RULE_NUMBERS = range(1, 32767)  # above is reserved
IPV4_CATCH_ALL, IPV6_CATCH_ALL = "32767", "32768"
IPV6_ALLOW = "101"  # of a default ACL


def create(context: RequestContext, _request: dict) -> dict:
    created = call_moto(context)["NetworkAcl"]
    backend = _backend(context)
    acl = backend.network_acls[created["NetworkAclId"]]
    entries = [
        {
            "RuleNumber": int(entry.rule_number),
            "Protocol": entry.protocol,
            "RuleAction": entry.rule_action,
            "Egress": entry.egress == "true",
            **({"CidrBlock": entry.cidr_block} if entry.cidr_block else {"Ipv6CidrBlock": entry.ipv6_cidr_block}),
        }
        for entry in acl.network_acl_entries
    ]
    return {"NetworkAcl": {**created, "OwnerId": context.account_id, "Entries": entries}}


def describe(context: RequestContext, request: dict) -> dict:
    backend = _backend(context)
    for id_ in request.get("NetworkAclIds") or []:
        _known(backend, id_)
    answer = call_moto_with_request(context, request)
    for acl in answer["NetworkAcls"]:
        acl["Entries"] = sorted(acl.get("Entries", []), key=lambda entry: (not entry["Egress"], entry["RuleNumber"]))
    return answer


def create_entry(context: RequestContext, request: dict) -> dict:
    _known(_backend(context), request["NetworkAclId"])
    _check_number(request)
    _check_cidr(request)
    return call_moto(context)


def replace_entry(context: RequestContext, request: dict) -> dict:
    _check_number(request)
    _check_cidr(request)
    _check_presence(context, request)
    return call_moto(context)


def delete_entry(context: RequestContext, request: dict) -> dict:
    _check_number(request)
    _check_presence(context, request)
    return call_moto(context)


def _backend(context: RequestContext) -> EC2Backend:
    backend = ec2_backends[context.account_id][context.region]
    for acl in list(backend.network_acls.values()):
        _complete(backend, acl)
    return backend


def _complete(backend: EC2Backend, acl: NetworkAcl) -> None:
    """The entries that AWS makes: with the ACL, and when its VPC gets an IPv6 block."""
    present = {(entry.rule_number, entry.egress) for entry in acl.network_acl_entries}
    vpc = backend.vpcs.get(acl.vpc_id)
    ipv6 = bool(vpc and vpc.get_cidr_block_association_set(ipv6=True))
    first_time = ipv6 and (IPV6_CATCH_ALL, "false") not in present
    wanted = [(IPV4_CATCH_ALL, "deny", "0.0.0.0/0", None)]
    if ipv6:
        wanted.append((IPV6_CATCH_ALL, "deny", None, "::/0"))
    if first_time and acl.default == "true":  # once only: whoever deletes it does not get it back
        wanted.append((IPV6_ALLOW, "allow", None, "::/0"))
    for number, action, ipv4_cidr, ipv6_cidr in wanted:
        for egress in ("true", "false"):
            if (number, egress) not in present:
                backend.create_network_acl_entry(
                    acl.id, number, "-1", action, egress, ipv4_cidr, None, None, None, None, ipv6_cidr
                )


def _known(backend: EC2Backend, id_: str) -> NetworkAcl:
    if id_ not in backend.network_acls:
        raise aws_error("InvalidNetworkAclID.NotFound", f"The network acl ID '{id_}' does not exist")
    return backend.network_acls[id_]


def _check_number(request: dict) -> None:
    if request["RuleNumber"] not in RULE_NUMBERS:
        raise aws_error(
            "InvalidParameterValue",
            f"Value ({request['RuleNumber']}) for parameter ruleNumber is invalid. It must be from 1 to 32766.",
        )


def _check_cidr(request: dict) -> None:
    blocks = [request.get("CidrBlock"), request.get("Ipv6CidrBlock")]
    if not any(blocks):
        raise aws_error("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock")
    if all(blocks):
        raise aws_error("InvalidParameterCombination", "Only one of cidrBlock and ipv6CidrBlock can be specified")


def _check_presence(context: RequestContext, request: dict) -> None:
    acl = _known(_backend(context), request["NetworkAclId"])
    number, egress = str(request["RuleNumber"]), str(request["Egress"]).lower()
    if not any((entry.rule_number, entry.egress) == (number, egress) for entry in acl.network_acl_entries):
        raise aws_error(
            "InvalidNetworkAclEntry.NotFound", f"The network acl entry identified by {number} does not exist."
        )


@patch(NetworkAcl.get_filter_value)
def _filter_value(fn, self, filter_name, method_name=None):
    match filter_name:
        case "network-acl-id":
            return self.id
        case "entry.ipv6-cidr":
            return [entry.ipv6_cidr_block for entry in self.network_acl_entries if entry.ipv6_cidr_block]
    return fn(self, filter_name, method_name)


OPERATIONS = {
    "CreateNetworkAcl": create,
    "CreateNetworkAclEntry": create_entry,
    "DeleteNetworkAclEntry": delete_entry,
    "DescribeNetworkAcls": describe,
    "ReplaceNetworkAclEntry": replace_entry,
}
