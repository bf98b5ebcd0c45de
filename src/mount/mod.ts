/** The door of this room. */
export {};
