"""digitlab - playground on the 8x8 digits"""
