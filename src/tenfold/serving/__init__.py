"""A run as a web service: pictures posted, names answered, and a page for people.

    bodies  ->  roster (which model)  ->  batching (one thread runs it)  ->  messages

`app` has the routes, `tfserving` those of TensorFlow Serving, `service` what they share, `access` what
surrounds each request, `server` the process. Nothing here imports Keras or torch: the model is the run's
exported file.
"""
