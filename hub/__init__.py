"""Assembly: settings, the application and its lifespan, middleware, routes, the command line, the demo.

Belongs here: putting the floors together and starting them. Imported by nobody.
"""
