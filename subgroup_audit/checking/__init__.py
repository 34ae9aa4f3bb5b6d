"""Anybody's predictions in, a verdict out: is this model's performance equal enough across groups?"""
