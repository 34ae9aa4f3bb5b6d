"""Does a chest-radiograph classifier work equally well for everyone?"""
