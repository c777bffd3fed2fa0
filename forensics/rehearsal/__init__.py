"""What recorded demand would meet if a signed zone were published: the zone held against caches.

Like explanation/, an end of the pipeline: it asks the tables of an ingest with the pure rules of
validation/. The zone is read (`zonefile`, `contents`) and its signatures are tried once a key
(`signing`); `holders` says what caches can still hold, `answers` and `denials` what each recorded
question would be answered, `health` and `steps` what is wrong and for whom, `demand` whom it hits.
"""
