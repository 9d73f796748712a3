"""Compare methods: a file of trainings and tests gives one table, with paired differences over seeds."""
