"""``convfilter try``: a picture and its filters on a page that this machine serves to itself."""
