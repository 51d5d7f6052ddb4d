"""Managed prefix lists: the account's own, AWS's, and those that other accounts share with it.

moto has no errors for them, forgets a list's name when its entries change, and does not take entries off.
https://docs.aws.amazon.com/vpc/latest/userguide/managed-prefix-lists.html
"""

from localstack.aws.api import RequestContext
from localstack.services.moto import call_moto
from moto.ec2.models import ec2_backends
from moto.ec2.models.managed_prefixes import ManagedPrefixList

from .. import shares
from ..moto_services import aws_error
from .filters import fits

AWS = "AWS"
# Each counts as so many rules:
# https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html
WEIGHTS = {
    "cloudfront.origin-facing": 55, "dynamodb": 1, "groundstation": 5, "ipv6.vpc-lattice": 10, "s3": 1,
    "vpc-lattice": 10,
}


def find(account: str, region: str, id_: str) -> ManagedPrefixList | None:
    return _visible(account, region).get(id_)


def weight(prefix_list: ManagedPrefixList) -> int:
    """As so many rules a reference counts, whatever is in the list."""
    if prefix_list.owner_id != AWS:
        return int(prefix_list.max_entries)
    return next(
        weight for name, weight in WEIGHTS.items() if prefix_list.prefix_list_name.endswith(f".{name}")
    )


def create(context: RequestContext, request: dict) -> dict:
    if request["PrefixListName"].startswith("com.amazonaws"):
        raise aws_error("InvalidParameterValue", "The name of a prefix list cannot start with com.amazonaws.")
    asked = request.get("Entries") or []
    _check_size(asked, request["MaxEntries"])
    prefix_list = _known(context, call_moto(context)["PrefixList"]["PrefixListId"])
    prefix_list.entries = {prefix_list.version: asked}  # moto misreads those without a description
    return {"PrefixList": _described(prefix_list)}


def describe(context: RequestContext, request: dict) -> dict:
    visible = _visible(context.account_id, context.region)
    for id_ in request.get("PrefixListIds") or []:
        _known(context, id_)
    wanted = request.get("PrefixListIds") or visible
    lists = [_described(each) for id_, each in visible.items() if id_ in wanted]
    return {"PrefixLists": [each for each in lists if fits(request.get("Filters"), _filtered_by(each))]}


def entries(context: RequestContext, request: dict) -> dict:
    prefix_list = _known(context, request["PrefixListId"])
    version = request.get("TargetVersion")
    if version is not None and not (prefix_list.version and 1 <= version <= prefix_list.version):
        raise aws_error("InvalidParameterValue", f"The prefix list has no version {version}.")
    return {"Entries": [_entry(each) for each in _entries(prefix_list, version)]}


def modify(context: RequestContext, request: dict) -> dict:
    """A change of entries is a new version; a new name is not."""
    prefix_list = _own(context, request["PrefixListId"])
    added, removed = request.get("AddEntries") or [], request.get("RemoveEntries") or []
    size = request.get("MaxEntries")
    if size and (added or removed):
        raise aws_error("InvalidParameterCombination", "You cannot modify the entries and the size at the same time.")
    version = request.get("CurrentVersion")
    if version is None and (added or removed):
        raise aws_error("MissingParameter", "The request must contain the parameter CurrentVersion")
    if version is not None and version != prefix_list.version:
        raise aws_error("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")
    gone = {each["Cidr"] for each in removed} | {each["Cidr"] for each in added}
    changed = [each for each in _entries(prefix_list) if each["Cidr"] not in gone] + added
    _check_size(changed, size or int(prefix_list.max_entries))
    if added or removed:
        prefix_list.version += 1
        prefix_list.entries[prefix_list.version] = changed
    prefix_list.prefix_list_name = request.get("PrefixListName") or prefix_list.prefix_list_name
    prefix_list.max_entries = size or prefix_list.max_entries
    prefix_list.state = "modify-complete"
    return {"PrefixList": _described(prefix_list)}


def delete(context: RequestContext, request: dict) -> dict:
    prefix_list = _own(context, request["PrefixListId"])
    del ec2_backends[context.account_id][context.region].managed_prefix_lists[prefix_list.id]
    prefix_list.state = "delete-complete"
    return {"PrefixList": _described(prefix_list)}


def _visible(account: str, region: str) -> dict[str, ManagedPrefixList]:
    visible = dict(ec2_backends[account][region].managed_prefix_lists)
    for id_, owner in shares.shared_with(account, region, "prefix-list").items():
        if shared := ec2_backends[owner][region].managed_prefix_lists.get(id_):
            visible[id_] = shared
    return visible


def _known(context: RequestContext, id_: str) -> ManagedPrefixList:
    prefix_list = find(context.account_id, context.region, id_)
    if prefix_list is None:
        raise aws_error("InvalidPrefixListID.NotFound", f"The prefix list ID '{id_}' does not exist")
    return prefix_list


def _own(context: RequestContext, id_: str) -> ManagedPrefixList:
    """Consumers cannot change a list, and nobody those of AWS: with which code is inferred."""
    prefix_list = _known(context, id_)
    if prefix_list.owner_id != context.account_id:
        raise aws_error("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
    return prefix_list


def _check_size(entries_: list[dict], size: int) -> None:
    if len(entries_) > size:
        raise aws_error(
            "PrefixListMaxEntriesExceeded", f"The prefix list can have {size} entries, and would have {len(entries_)}."
        )


def _entries(prefix_list: ManagedPrefixList, version: int | None = None) -> list[dict]:
    return prefix_list.entries.get(version or prefix_list.version or 1, [])  # AWS's have no version


def _entry(entry: dict) -> dict:
    return {name: entry[name] for name in ("Cidr", "Description") if entry.get(name)}


def _filtered_by(described: dict) -> dict[str, list[str]]:
    tags = described["Tags"]
    return {
        "owner-id": [described["OwnerId"]],
        "prefix-list-id": [described["PrefixListId"]],
        "prefix-list-name": [described["PrefixListName"]],
        "tag-key": [tag["Key"] for tag in tags],
        **{f"tag:{tag['Key']}": [tag["Value"]] for tag in tags},
    }


def _described(prefix_list: ManagedPrefixList) -> dict:
    described = {
        "PrefixListId": prefix_list.id,
        "AddressFamily": prefix_list.address_family,
        "State": prefix_list.state,
        "PrefixListArn": prefix_list.prefix_list_arn.replace(f":{AWS}:", ":aws:"),
        "PrefixListName": prefix_list.prefix_list_name,
        "MaxEntries": prefix_list.max_entries and int(prefix_list.max_entries),
        "Version": prefix_list.version,
        "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in prefix_list.get_tags()],
        "OwnerId": prefix_list.owner_id,
    }
    return {name: value for name, value in described.items() if value is not None}


OPERATIONS = {
    "CreateManagedPrefixList": create,
    "DeleteManagedPrefixList": delete,
    "DescribeManagedPrefixLists": describe,
    "GetManagedPrefixListEntries": entries,
    "ModifyManagedPrefixList": modify,
}
