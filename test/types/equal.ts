/** Whether two types are the same, optional and readonly marks included: mutual assignability is not enough. */
export type Equal<A, B> =
  (<T>(of: T) => T extends A ? 1 : 2) extends <T>(of: T) => T extends B ? 1 : 2 ? true : false

/** Compiles only for `true`: `same<Equal<A, B>>()`. */
export declare function same<T extends true>(...proof: T[]): T
