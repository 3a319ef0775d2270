/**
 * How many lists and dicts JSON may have within each other, written or read: twice what Python reads with its usual
 * recursion limit, and well below where those run out of stack who walk through values here.
 */
export const MAX_DEPTH = 2000;
