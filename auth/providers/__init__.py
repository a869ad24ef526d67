"""Identity providers: Entra ID, GitHub and any OpenID Connect provider, spoken to with Authlib.

Belongs here: from an authorisation address to a verified profile, and reading a person's groups again.
Doesn't: what is written down of it (`auth.sign_in`, `auth.groups`), cookies and redirects (`hub`).
Authlib and its kin take 0.3 s to import: only `auth.providers.catalogue` is imported at the start, and it
imports a provider's module when somebody first needs it.
"""
