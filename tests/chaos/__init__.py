"""A fault campaign: real workers, real databases and a real destination, hurt at random, and a judge afterwards.

`make chaos DATABASE=postgresql MINUTES=12 SEED=1`. Read `campaign.py`, then `verdict.py`.
"""
