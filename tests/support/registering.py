"""What admins send about instances."""

REGISTER = """mutation ($input: RegisterInstanceInput!) { registerInstance(input: $input) {
  instance { id displayName status credential { source } } } }"""
UPDATE = """mutation ($input: UpdateInstanceInput!) { updateInstance(input: $input) {
  instance { id displayName status statusReason credential { source } } } }"""
REMOVE = """mutation ($id: ID!) { removeInstance(input: {id: $id}) { removedInstanceId } }"""
SHOWN = """query ($id: ID!) { instance(id: $id) {
  id displayName status statusReason deploymentCount namespaces endpoint
  credential { source context error warnings } } }"""
