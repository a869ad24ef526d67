"""What admins send."""

ASSIGN = """mutation ($input: AssignRoleInput!) { assignRole(input: $input) {
  grant { id role instanceId namespaces source createdBy { displayName } }
  user { id isAdmin grants { id } } } }"""
REVOKE = """mutation ($id: ID!) { revokeRole(input: {grantId: $id}) {
  revokedGrantId user { id grants { id } } } }"""
CREATE_MAPPING = """mutation ($input: CreateGroupMappingInput!) { createGroupMapping(input: $input) {
  groupMapping { id provider groupId groupName role instanceId namespaces createdBy { displayName } }
  affectedUserCount affectedUsers(first: 10) { totalCount nodes { displayName } } } }"""
UPDATE_MAPPING = """mutation ($input: UpdateGroupMappingInput!) { updateGroupMapping(input: $input) {
  groupMapping { id groupName role instanceId namespaces } affectedUserCount
  affectedUsers { nodes { displayName } } } }"""
DELETE_MAPPING = """mutation ($input: DeleteGroupMappingInput!) { deleteGroupMapping(input: $input) {
  deletedGroupMappingId affectedUserCount affectedUsers { nodes { displayName } } } }"""

MAPPING = {
    "groupId": "ml",
    "groupName": "ML Engineers",
    "role": "DEPLOYER",
    "instanceId": "east",
    "namespaces": ["ml-team"],
}
