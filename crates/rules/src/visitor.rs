//! What is made of the list of rules.

use remediation::Rule;

/// What to do with a rule, whichever it is.
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it with the rule `R`.
    fn visit<R: Rule>(&self) -> Self::Output;
}

/// Makes this crate of the list of rules. The list begins with a dollar sign, which the macro made here needs: a macro
/// cannot write one itself.
macro_rules! rules {
    ($dollar:tt $($module:ident::$rule:ident,)+) => {
        $(pub use $module;)+

        /// Calls the visitor with every rule, in the list's order.
        pub fn visit<V: Visitor>(visitor: &V) -> Vec<V::Output> {
            vec![$(visitor.visit::<$module::$rule>(),)+]
        }

        /// Calls a macro with the module and the type of every rule: `s3_public_bucket::S3PublicBucket, …`.
        #[macro_export]
        macro_rules! each_rule {
            ($dollar callback:ident) => { $dollar callback! { $($module::$rule,)+ } };
        }
    };
}
