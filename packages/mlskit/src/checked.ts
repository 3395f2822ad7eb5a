/**
 * A seal in the type of a value that a check has passed. An object literal with the same fields does
 * not fit, so that the check cannot be left out, and what it seals is its result, so that the result
 * cannot be ignored. For classes a private constructor does the same.
 */
declare const checkedBy: unique symbol;

/** `T` as the function named `By` returned it. */
export type Checked<T, By extends string> = T & { readonly [checkedBy]: By };

/** Only for the last line of the function that the seal names. */
export function sealed<By extends string, T>(value: T): Checked<T, By> {
  return value as Checked<T, By>;
}
